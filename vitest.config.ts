import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["**/*.test.ts"],
    exclude: ["**/node_modules/**", "reports/out/**"],
    setupFiles: ["./vitest.setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: {
      provider: "v8",
      reportOnFailure: true,
      include: ["core/**/*.ts", "sim/**/*.ts"],
      exclude: ["**/*.test.ts", "**/*.contract.ts", "**/*.fixture.ts", "**/*.fuzz.ts", "**/*.bench.ts"],
      reporter: ["text-summary", "json-summary"],
      reportsDirectory: "coverage"
    }
  }
})
