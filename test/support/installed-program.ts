import { spawn, spawnSync } from 'node:child_process'
import { within } from './wait-until.ts'

export interface ProgramResult {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Why tests of a program cannot run here, or false when it is installed: what `test({ skip })` takes. */
export function skipWithout(program: string): string | false {
  const found = spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
  return found ? false : `${program} is not installed`
}

/** Runs a program to its end. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>
    readonly input?: string
    readonly timeoutMs?: number
  } = {},
): Promise<ProgramResult> {
  const child = spawn(program, args, { env: { ...process.env, ...options.env }, stdio: 'pipe' })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const ended = new Promise<ProgramResult>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, stdout, stderr }))
  })
  try {
    return await within(options.timeoutMs ?? 60_000, `${program} to end`, ended)
  } catch (error) {
    child.kill('SIGKILL')
    throw new Error(`${program} ${args.join(' ')}: ${stdout}${stderr}`, { cause: error })
  }
}
