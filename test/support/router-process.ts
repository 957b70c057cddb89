import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { descendants, isRunning, type ProcessIdentity, processesWith } from './process-usage.ts'
import { type RouterSettings, toToml } from './router-settings.ts'
import { waitUntil, within } from './wait-until.ts'
import { WireClient } from './wire-client.ts'
import { SSL_REQUEST } from './wire-frames.ts'

const PROGRAM = join(import.meta.dirname, '../../bin/switchyard.js')
const READY_TIMEOUT_MS = 30_000
/** Beyond the configured drain time: then the processes are killed and the stop counts as failed. */
const STOP_TIMEOUT_MS = 20_000
const KEPT_LOG_LINES = 5_000
/** A PostgreSQL server or one of its processes. */
const SERVER = /^\S*postgres(:| -D)/

export interface RouterOptions {
  /** Put before the command, `"$@"` being the command: `['sh', '-c', 'ulimit -n 100; exec "$@"', 'sh']`. */
  readonly wrapper?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Further options of `start`. */
  readonly flags?: readonly string[]
}

export interface RouterPids {
  readonly keeper: number
  readonly control: number
  readonly planes: readonly number[]
  /** Wait to take a plane's place. */
  readonly standbys: readonly number[]
}

/** How the keeper process ended. */
export interface RouterExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A Switchyard of its own for one test file: directory, ports, processes. `stop` ends all of it. */
export class RouterProcess {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly httpPort: number
  /** Configuration, data and run-time files. */
  readonly directory: string
  readonly configFile: string
  /** Lines of its standard output and error. */
  readonly log: string[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<RouterExit>
  readonly #seen = new Map<number, ProcessIdentity>()

  private constructor(directory: string, ports: readonly [number, number], options: RouterOptions) {
    this.directory = directory
    this.configFile = join(directory, 'switchyard.toml')
    this.port = ports[0]
    this.httpPort = ports[1]
    const start = ['start', '--config', this.configFile, ...(options.flags ?? [])]
    const command = [...(options.wrapper ?? []), process.execPath, PROGRAM, ...start]
    this.#child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        NODE_TEST_CONTEXT: undefined,
        // Where hundreds of routers are started, it is no use to be fast for long.
        SWITCHYARD_REHEARSAL: 'off',
        SWITCHYARD_HUGE_PAGES: 'off',
        SWITCHYARD_PORT: String(this.port),
        SWITCHYARD_HTTP_PORT: String(this.httpPort),
        SWITCHYARD_DATA: join(directory, 'data'),
        ...options.env,
      },
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) this.#collect(stream)
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve({ code, signal }))
      this.#child.once('error', (error) => {
        this.log.push(`cannot be started: ${error.message}`)
        resolve({ code: null, signal: null })
      })
    })
  }

  /** Starts it and waits until it serves clients and has found its shards. */
  static async start(settings: RouterSettings, options: RouterOptions = {}): Promise<RouterProcess> {
    for (;;) {
      const router = await RouterProcess.launch(settings, options)
      try {
        await router.#ready()
        return router
      } catch (error) {
        await router.kill()
        // Between looking for a free port and listening there, another test file may have been quicker.
        if (router.log.some((line) => line.includes('is taken by another program'))) continue
        throw new Error(`the router did not become ready; its log:\n${router.tail(80)}`, { cause: error })
      }
    }
  }

  /** Starts it and does not wait. */
  static async launch(settings: RouterSettings, options: RouterOptions = {}): Promise<RouterProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'switchyard-test-'))
    writeFileSync(join(directory, 'switchyard.toml'), toToml(settings))
    return new RouterProcess(directory, [await freePort(), await freePort()], options)
  }

  /** Resolves when the keeper has ended. */
  get exited(): Promise<RouterExit> {
    return this.#exited
  }

  get pids(): RouterPids {
    const found = this.#remember()
    const keeper = this.#keeperPid()
    const titled = (title: RegExp): number[] =>
      found.filter((process) => title.test(process.command)).map((process) => process.pid)
    const [control] = titled(/^switchyard: control$/)
    const standbys = titled(/^switchyard: plane \d+ \(standby\)$/)
    const planes = titled(/^switchyard: plane \d+$/)
    if (control === undefined || planes.length === 0) {
      throw new Error(`no control or no plane process among ${JSON.stringify(found)}`)
    }
    return { keeper, control, planes, standbys }
  }

  signal(signal: NodeJS.Signals): void {
    const pid = this.#keeperPid()
    if (pid === this.#child.pid) this.#child.kill(signal)
    else process.kill(pid, signal)
  }

  /** Replaces the configuration file; RELOAD or SIGHUP makes it count. */
  writeSettings(settings: RouterSettings): void {
    writeFileSync(this.configFile, toToml(settings))
  }

  /** The last lines of the log. */
  tail(lines: number): string {
    return this.log.slice(-lines).join('\n')
  }

  /** SIGTERM, and how it ended. Nothing of it is left afterwards; if it had to be killed, that is an error. */
  async stop(): Promise<RouterExit> {
    this.#remember()
    this.signal('SIGTERM')
    try {
      const exit = await within(STOP_TIMEOUT_MS, 'the router to stop', this.#ended())
      const left = [...this.#seen.values()].filter(isRunning)
      if (left.length > 0) throw new Error(`the keeper has ended, these have not: ${JSON.stringify(left)}`)
      return exit
    } catch (error) {
      throw new Error(`the router did not stop; its log:\n${this.tail(80)}`, { cause: error })
    } finally {
      await this.kill()
    }
  }

  /** SIGKILL to all of it; removes its directory. */
  async kill(): Promise<void> {
    // Those that are left may start others.
    for (let left = this.#running(); left.length > 0; left = this.#running()) {
      for (const { pid } of left) killIfThere(pid)
      this.#child.kill('SIGKILL')
    }
    this.#child.kill('SIGKILL')
    await this.#exited
    rmSync(this.directory, { recursive: true, force: true })
  }

  /** The process that we started, or another one in its place. */
  #keeperPid(): number {
    try {
      return Number(readFileSync(join(this.directory, 'data', 'switchyard.lock'), 'utf8').split('\n')[0])
    } catch {
      return this.#child.pid ?? 0
    }
  }

  /** The end of whichever keeper there is. Only of the one that we started is it known how. */
  async #ended(): Promise<RouterExit> {
    const pid = this.#keeperPid()
    if (pid === this.#child.pid) return this.#exited
    const keeper = [...this.#seen.values()].find((process) => process.pid === pid)
    await waitUntil('the keeper to end', () => keeper === undefined || !isRunning(keeper), {
      timeoutMs: STOP_TIMEOUT_MS,
    })
    return { code: 0, signal: null }
  }

  #running(): ProcessIdentity[] {
    this.#remember()
    return [...this.#seen.values()].filter(isRunning)
  }

  /** Children are found by their parent, so they are noted while the parent runs; later ones by their environment. */
  #remember(): ProcessIdentity[] {
    const child = this.#child.pid ?? 0
    const all =
      this.#child.exitCode === null && this.#child.signalCode === null
        ? descendants(child)
        : processesWith(`SWITCHYARD_DATA=${join(this.directory, 'data')}`)
    // Servers that it has started are meant to outlive it; whoever made the cluster stops them.
    const found = all.filter(({ command }) => !SERVER.test(command))
    for (const descendant of found) this.#seen.set(descendant.pid, descendant)
    return found
  }

  #collect(stream: NodeJS.ReadableStream | null): void {
    let rest = ''
    stream?.setEncoding('utf8')
    stream?.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      this.log.push(...lines)
      if (this.log.length > KEPT_LOG_LINES) this.log.splice(0, this.log.length - KEPT_LOG_LINES)
    })
  }

  async #ready(): Promise<void> {
    const exited = this.#exited.then((exit) => {
      throw new Error(`it ended with ${JSON.stringify(exit)}`)
    })
    const answering = waitUntil(
      'the router to serve',
      async () => {
        const health = await fetch(`http://${this.host}:${this.httpPort}/healthz`)
        return health.ok && (await this.#greets())
      },
      { timeoutMs: READY_TIMEOUT_MS, everyMs: 30 },
    )
    await Promise.race([answering, exited])
  }

  async #greets(): Promise<boolean> {
    const client = await WireClient.connect(this)
    try {
      client.send(SSL_REQUEST)
      const isAnswered = 'SN'.includes((await client.raw(1)).toString('latin1'))
      // Tests count clients: this one must not be there any more.
      client.endWriting()
      await client.untilClosed()
      return isAnswered
    } finally {
      client.close()
    }
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has just ended.
  }
}
