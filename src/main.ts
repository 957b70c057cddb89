import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { ConfigError } from './errors.ts'

/*
 * argv → command. Every process of the router begins here, so this file imports nothing that only one of them needs: the
 * keeper and the planes are many or live long, and each pays for what it loads.
 */

const STANDARD_ERROR = 2

// Whoever started the program may read only its first lines.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

const [command = '', ...parameters] = process.argv.slice(2)
try {
  process.exitCode = await run(command, parameters)
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}

async function run(name: string, rest: readonly string[]): Promise<number> {
  // Not for people: how the keeper starts its children.
  if (name === 'plane') {
    const context = await childContext()
    const code = await (await import('./commands/plane.ts')).plane(rest, context)
    // Without taking the heap apart: a successor waits until this process is gone.
    context.exit(code)
  }
  if (name === 'control') {
    const context = await childContext()
    const code = await (await import('./commands/control.ts')).control(context)
    // Without waiting for sockets that others may keep open.
    context.exit(code)
  }
  if (name === 'upgrade-check') {
    const { upgradeCheck } = await import('./commands/upgrade-check.ts')
    return upgradeCheck(rest[0] ?? null, process.env, (text) => process.stdout.write(text))
  }
  // The keeper lives long and allocates little; V8 would let its young generation grow by megabytes for nothing.
  if (name === 'start') setFlagsFromString('--semi-space-growth-factor=1')
  const { runCommandLine } = await import('./commands/command-line.ts')
  return runCommandLine(process.argv.slice(2), {
    environment: process.env,
    self: [process.execPath, fileURLToPath(new URL('../bin/switchyard.js', import.meta.url))],
    pid: process.pid,
    architecture: process.arch,
    onSignal: (signal, handler) => process.on(signal, handler),
    workingDirectory: process.cwd(),
    execute,
    setTitle,
    logDestination: STANDARD_ERROR,
    write: (text) => process.stdout.write(text),
  })
}

async function childContext() {
  const { exitAtOnce } = await import('./io/exit-at-once.ts')
  // As Node does it, but for what may keep it from ending: who crashes has a successor when it is gone, and not before.
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    exitAtOnce(1)
  })
  // Signals are for the keeper: it ends its children in order. A service manager may send them to all processes.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {})
  return {
    environment: process.env,
    pid: process.pid,
    parentPid: process.ppid,
    architecture: process.arch,
    setTitle,
    logDestination: STANDARD_ERROR,
    write: (text: string) => process.stdout.write(text),
    complain: (text: string) => process.stderr.write(text),
    // A profile is written while Node takes itself apart.
    exit: process.execArgv.some((flag) => /^--(cpu|heap)-prof/.test(flag)) ? process.exit : exitAtOnce,
  }
}

function execute([program, ...parameters]: readonly [string, ...string[]], environment: NodeJS.ProcessEnv): void {
  if (process.execve === undefined) throw new Error('this version of Node.js cannot replace a process by another one')
  process.execve(program, [program, ...parameters], environment)
}

function setTitle(title: string): void {
  process.title = title
}
