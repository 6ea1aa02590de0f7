/**
 * Style and scripts of the page as text, to be put into it: the page must work from a file, with no network. The scripts are
 * TypeScript modules; their types are stripped and the modules joined here, so there is no build step.
 */

import { readFileSync } from "node:fs"
import { createRequire, stripTypeScriptTypes } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert } from "@horizon/core/assert.ts"

export interface Assets {
  readonly style: string
  /** Runs before anything is painted. */
  readonly early: string
  readonly script: string
}

/** Entry points: reports/page/early.ts runs before anything is painted, reports/page/main.ts when all is there. */
const HERE = dirname(fileURLToPath(import.meta.url))

let known: Assets | undefined

export const assets = (): Assets => {
  known ??= loadAssets()
  return known
}

const loadAssets = (): Assets => {
  const require = createRequire(import.meta.url)
  const vendor = (name: string): string => readFileSync(require.resolve(`uplot/dist/${name}`), "utf8")
  const found = {
    style: `${vendor("uPlot.min.css")}\n${readFileSync(join(HERE, "page/report.css"), "utf8")}`,
    early: joinModules(join(HERE, "page/early.ts")),
    script: `${vendor("uPlot.iife.min.js")}\n${joinModules(join(HERE, "page/main.ts"))}`
  }
  for (const text of Object.values(found)) assert(!/<\/(script|style)/i.test(text), "an asset cannot end its element")
  return found
}

const IMPORT = /^import (?:type )?\{[^}]*\} from "(\.[^"]+)"$/gm

/**
 * One script of a module and all that it imports, each once, after what it needs. They share one scope, so two modules cannot
 * both declare a name; the script would not parse, which a test would see.
 */
export const joinModules = (entry: string): string => {
  const done = new Set<string>()
  const parts: Array<string> = []
  const visit = (path: string): void => {
    if (done.has(path)) return
    done.add(path)
    const source = readFileSync(path, "utf8")
    for (const match of source.matchAll(IMPORT)) {
      assert(!match[0].includes(" as "), "modules of the page share one scope, so an import cannot be renamed")
      visit(join(dirname(path), match[1]))
    }
    parts.push(
      stripped(source)
        .replace(IMPORT, "")
        .replace(/^export /gm, "")
        .replace(/[ \t]+$/gm, "")
        .replace(/\n{2,}/g, "\n")
    )
  }
  visit(entry)
  return `(() => {\n"use strict"\n${parts.join("\n")}\n})()`
}

/**
 * The function is marked experimental and says so on standard error. The version of Node is pinned, and whoever runs a scenario
 * has no use for that line, so it is held back for the duration of this call.
 */
const stripped = (source: string): string => {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return stripTypeScriptTypes(source)
  } finally {
    process.emitWarning = emitWarning
  }
}
