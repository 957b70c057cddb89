import { spawn } from 'node:child_process'
import type { ProgramAnswer } from '../memory/upgrade-protocol.ts'

/** A process boots and reads a configuration in a fraction of this. */
const CHECK_MS = 30_000
/** What is kept of words that are no answer. */
const MOST_CHARACTERS = 400

export type ProgramCheck =
  /** `takesAhead`: its planes are ready for connections before their turn. */
  | { readonly usable: true; readonly version: string; readonly takesAhead: boolean }
  /** A sentence for the operator. */
  | { readonly usable: false; readonly reason: string }

/**
 * Asks a program whether it could take this router over: `command` is its `upgrade-check`, which is given the shared memory
 * and reads the configuration. Never rejects.
 */
export function checkProgram(
  command: readonly [string, ...string[]],
  environment: NodeJS.ProcessEnv,
  memoryFd: number,
): Promise<ProgramCheck> {
  const [program, ...parameters] = command
  return new Promise((resolve) => {
    const child = spawn(program, parameters, {
      detached: true,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe', 'ignore', memoryFd],
    })
    let output = ''
    let complaint = ''
    const timer = setTimeout(() => child.kill('SIGKILL'), CHECK_MS)
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(0, MOST_CHARACTERS)
    })
    child.once('error', (error) => {
      clearTimeout(timer)
      resolve({ usable: false, reason: `${program} cannot be started (${error.message}).` })
    })
    child.once('close', () => {
      clearTimeout(timer)
      resolve(verdictOn(output, complaint.trim()))
    })
  })
}

function verdictOn(output: string, complaint: string): ProgramCheck {
  const answer = parseAnswer(output)
  if (answer === null) {
    const heard = complaint === '' ? '' : ` It said: ${complaint}`
    return { usable: false, reason: `The program is no Switchyard that can take over a running one.${heard}` }
  }
  const { switchyard: version, problem, takesAhead } = answer
  if (problem === null) return { usable: true, version, takesAhead }
  return { usable: false, reason: `Switchyard ${version} cannot take over: ${problem}` }
}

function parseAnswer(output: string): ProgramAnswer | null {
  try {
    const answer = JSON.parse(output) as Partial<ProgramAnswer> | null
    if (typeof answer?.switchyard !== 'string' || answer.problem === undefined) return null
    return { switchyard: answer.switchyard, problem: answer.problem, takesAhead: answer.takesAhead === true }
  } catch {
    return null
  }
}
