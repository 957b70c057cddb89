import type { Environment } from '../config/environment.ts'
import { loadConfig } from '../config/load-config.ts'
import { localConfig } from '../control/local-settings.ts'
import { ConfigError } from '../errors.ts'
import { OwnedFd } from '../io/owned-fd.ts'
import { SharedMapping } from '../io/shared-memory.ts'
import { layoutObstacle, OWN_LAYOUT, PAGE_BYTES } from '../memory/layout.ts'
import { readLayout } from '../memory/shared-state.ts'
import type { ProgramAnswer } from '../memory/upgrade-protocol.ts'
import { VERSION } from '../version.ts'

/** Where the keeper puts the shared memory. */
const MEMORY_FD = 4

/**
 * `switchyard upgrade-check [FILE]`, started by the keeper of a running router only, which may be of another version: says in
 * one line of JSON whether this version could go on with the router's memory and configuration. Changes nothing.
 */
export function upgradeCheck(
  configFile: string | null,
  environment: Environment,
  write: (text: string) => void,
): number {
  const answer: ProgramAnswer = { switchyard: VERSION, problem: problemOf(configFile, environment), takesAhead: true }
  write(`${JSON.stringify(answer)}\n`)
  return 0
}

function problemOf(configFile: string | null, environment: Environment): string | null {
  const memory = new SharedMapping(new OwnedFd(MEMORY_FD), PAGE_BYTES).memory
  const obstacle = layoutObstacle(readLayout(memory), OWN_LAYOUT)
  if (obstacle !== null) {
    return `${obstacle}. Stop the router and start the other version, or upgrade by way of a version between them.`
  }
  try {
    if (configFile === null) localConfig(environment)
    else loadConfig(configFile, environment)
    return null
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return `it does not accept the configuration. ${error.message}`
  }
}
