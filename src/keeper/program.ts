import { realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** An installed Switchyard: the Node.js that runs it, and its first arguments. */
export type Program = readonly [string, ...string[]]

/**
 * The program at `path`: a file for Node.js (`bin/switchyard.js`), a link to one, or the directory of a package. `nodePath`
 * runs it. Throws an Error with a sentence for anything else.
 */
export function programAt(path: string, nodePath: string): Program {
  let file: string
  try {
    file = realpathSync(path)
    if (statSync(file).isDirectory()) file = realpathSync(join(file, 'bin/switchyard.js'))
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new Error(
      `There is no program at ${path} (${reason}); name the bin/switchyard.js of an installed Switchyard.`,
    )
  }
  if (!/\.[cm]?[jt]s$/.test(file)) {
    throw new Error(`${path} is no program for Node.js; name the bin/switchyard.js of an installed Switchyard.`)
  }
  return [nodePath, file]
}
