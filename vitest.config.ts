import { defineConfig } from "vitest/config"

/**
 * Tests that load the machine or judge how it keeps time: labs on the kernel, guests, benchmarks. They run after all others, one file at a
 * time, so that they do not disturb each other.
 */
const ALONE = [
  "bench/bench.test.ts",
  "bench/calibrate/kernel-run.test.ts",
  "bench/lab/**/*.test.ts",
  "bench/net/*.test.ts",
  "bench/soak/soak.test.ts",
  "bench/tunnel/tunnels.test.ts",
  "bench/world/mininet.test.ts",
  "bench/world/netns.test.ts",
  "nodes/real/tun-kernel.test.ts",
  "nodes/real/udp-dense.test.ts"
]
const NEVER = ["**/node_modules/**", "reports/out/**"]

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "together",
          include: ["**/*.test.ts"],
          exclude: [...NEVER, ...ALONE],
          sequence: { groupOrder: 0 }
        }
      },
      {
        extends: true,
        test: {
          name: "alone",
          include: ALONE,
          exclude: NEVER,
          fileParallelism: false,
          maxWorkers: 1,
          sequence: { groupOrder: 1 }
        }
      }
    ],
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
