import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ConfigError } from '../src/errors.ts'
import { Bench, type BenchOptions } from './macro/bench-environment.ts'
import { Interrupted } from './macro/cleanup.ts'
import { continuity } from './macro/continuity.ts'
import { idle } from './macro/idle.ts'
import { isolation } from './macro/isolation.ts'
import { parameters } from './macro/parameters.ts'
import { type Mode, modes, type PeerName, peerNames } from './macro/peer.ts'
import { routing } from './macro/routing.ts'
import { scaling } from './macro/scaling.ts'
import { throughput } from './macro/throughput.ts'
import { upgrade } from './macro/upgrade.ts'

const usage = `npm run bench -- <name> [options]

  throughput   pgbench directly, through PgBouncer and through Switchyard: tps, latency, CPU time per transaction
  idle         memory, descriptors and CPU time for idle clients of PgBouncer and of Switchyard
  upgrade      what 1,000 and 5,000 clients, 100 of them active, notice of an upgrade and of a plane's SIGKILL, also over TLS
  continuity   what clients notice of a restart, a switchover, a patch and a lost primary under mixed work
  parameters   round trips and latency when clients with different settings take turns on one server connection
  isolation    short reads of the high tier beside reports and writes of the low one, with and without a policy
  routing      what it costs to decide where a read goes
  scaling      from too many reads to a new replica that has some of them, and back

  analyzer     what tiers cost a plane, and how good they are on what the laboratory recorded (npm run lab)

  --quick         about one minute instead of about nine
  --peers LIST    of direct,pgbouncer,switchyard (all)
  --clients LIST  throughput: clients per cell (1,16,64,256; paced 16,64); idle: how many (5000); upgrade: how many (1000,5000)
  --seconds N     length of one run (3)
  --scale N       scale factor of pgbench's tables (20)
  --modes LIST    throughput: of simple,paced,extended,prepared,tpcb (all)
  --rounds N      throughput: runs per cell and peer (2); cells with a goal get three more; isolation: of everything (3)
  --rate N        throughput: transactions per second in mode paced (4000); upgrade: of the active clients (1000)
  --nice N        isolation: of the low tier, in the run that shares the CPU (19)
  --slots N       isolation: of the low tier, in that run, in which its queries have no parallel workers (2)
  --checkout DIR  the Switchyard of another checkout instead of this one
  --before DIR    throughput: that of another checkout as one more peer (before), in the same rounds
  --cpu-prof DIR  throughput: profile the router's planes, print where their time went, leave the profiles in DIR

Progress goes to standard error. A table goes to standard output, then one line of JSON.
`

/** A mistake on the command line: told without a stack. */
class UsageError extends Error {}

function parse(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        peers: { type: 'string' },
        clients: { type: 'string' },
        seconds: { type: 'string' },
        scale: { type: 'string' },
        modes: { type: 'string' },
        rounds: { type: 'string' },
        rate: { type: 'string' },
        nice: { type: 'string' },
        slots: { type: 'string' },
        checkout: { type: 'string', default: fileURLToPath(new URL('..', import.meta.url)) },
        before: { type: 'string' },
        'cpu-prof': { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new UsageError(`--${option}: ${text} is not a whole number above 0`)
  return value
}

function wholeNumbers(option: string, text: string): number[] {
  return text.split(',').map((part) => wholeNumber(option, part))
}

function chosen<T extends string>(option: string, text: string, allowed: readonly T[]): T[] {
  return text.split(',').map((part) => {
    const value = allowed.find((candidate) => candidate === part)
    if (value === undefined) throw new UsageError(`--${option}: ${part} is not one of ${allowed.join(', ')}`)
    return value
  })
}

/** `before` is one as soon as there is a checkout to take it from. */
function chosenPeers(list: string | undefined, before: string | undefined): PeerName[] {
  const named = chosen('peers', list ?? peerNames.filter((name) => name !== 'before').join(), peerNames)
  if (named.includes('before') && before === undefined) throw new UsageError('--peers: before needs --before DIR')
  return peerNames.filter((name) => named.includes(name) || (name === 'before' && before !== undefined))
}

function directory(path: string | undefined): string | null {
  if (path === undefined) return null
  mkdirSync(path, { recursive: true })
  return resolve(path)
}

/** By mode: a fixed rate tells nothing more with one client, or with so many that few of them are busy. */
function clientsOf(text: string | undefined, quick: boolean, chosenModes: readonly Mode[]): Map<Mode, number[]> {
  const few = wholeNumbers('clients', text ?? '16,64')
  const all = wholeNumbers('clients', text ?? (quick ? '16,64' : '1,16,64,256'))
  return new Map(chosenModes.map((mode) => [mode, mode === 'paced' ? few : all]))
}

interface Plan {
  readonly name: string
  readonly options: BenchOptions
  /** The options as the JSON line shows them. */
  readonly shown: object
  readonly run: (bench: Bench) => Promise<object>
}

/** The chosen benchmark with its options, ready to run; null: only help is wanted. */
function plan(argv: string[]): Plan | null {
  const { values, positionals } = parse(argv)
  const [name, ...rest] = positionals
  if (values.help) return null
  if (name === undefined || rest.length > 0)
    throw new UsageError(
      'name one benchmark: throughput, idle, continuity, parameters, upgrade, isolation, routing or scaling',
    )
  const { quick } = values
  const options = {
    peers: chosenPeers(values.peers, values.before),
    scale: wholeNumber('scale', values.scale ?? (quick ? '10' : '20')),
    seconds: wholeNumber('seconds', values.seconds ?? (quick ? '2' : '3')),
    checkout: resolve(values.checkout),
    before: values.before === undefined ? null : resolve(values.before),
    cpuProfileDirectory: directory(values['cpu-prof']),
  }
  if (name === 'throughput') {
    const chosenModes = chosen('modes', values.modes ?? (quick ? 'simple' : modes.join()), modes)
    const cells = {
      clients: clientsOf(values.clients, quick, chosenModes),
      rounds: wholeNumber('rounds', values.rounds ?? (quick ? '1' : '2')),
      rate: wholeNumber('rate', values.rate ?? '4000'),
    }
    const all = { ...options, ...cells }
    const shown = { ...all, clients: Object.fromEntries(all.clients) }
    return { name, options: all, shown, run: (bench) => throughput(bench, all) }
  }
  if (name === 'idle') {
    const clients = wholeNumber('clients', values.clients ?? (quick ? '1000' : '5000'))
    const all = { ...options, clients }
    return { name, options: all, shown: all, run: (bench) => idle(bench, all) }
  }
  if (name === 'upgrade') {
    const clients = wholeNumbers('clients', values.clients ?? (quick ? '1000' : '1000,5000'))
    const all = { ...options, clients, rate: wholeNumber('rate', values.rate ?? '1000') }
    return { name, options: all, shown: all, run: (bench) => upgrade(bench, all) }
  }
  if (name === 'continuity') {
    const all = {
      ...options,
      scale: 1,
      clients: wholeNumber('clients', values.clients ?? '64'),
      isPgbouncerWanted: options.peers.includes('pgbouncer'),
    }
    return { name, options: all, shown: all, run: (bench) => continuity(bench, all) }
  }
  if (name === 'isolation') {
    const clients = wholeNumber('clients', values.clients ?? '32')
    const nice = wholeNumber('nice', values.nice ?? '19')
    const slots = wholeNumber('slots', values.slots ?? '2')
    const rounds = wholeNumber('rounds', values.rounds ?? (quick ? '1' : '3'))
    const all = { ...options, clients, rate: wholeNumber('rate', values.rate ?? '200'), nice, slots, rounds }
    return { name, options: all, shown: all, run: (bench) => isolation(bench, all) }
  }
  if (name === 'scaling') {
    const all = { ...options, scale: 1, clients: wholeNumber('clients', values.clients ?? '40') }
    return { name, options: all, shown: all, run: (bench) => scaling(bench, all) }
  }
  if (name === 'parameters') {
    return { name, options, shown: options, run: (bench) => parameters(bench, options) }
  }
  throw new UsageError(
    `there is no benchmark ${name}: throughput, idle, continuity, parameters, upgrade, isolation, routing or scaling`,
  )
}

async function main(argv: string[]): Promise<void> {
  // Needs no server.
  if (argv[0] === 'analyzer') {
    const { analyzer } = await import('./analyzer/analyzer.ts')
    process.stdout.write(`${JSON.stringify({ bench: 'analyzer', ...(await analyzer(argv[1])) })}\n`)
    return
  }
  if (argv[0] === 'routing') {
    process.stdout.write(`${JSON.stringify({ bench: 'routing', ...routing() })}\n`)
    return
  }
  const planned = plan(argv)
  if (planned === null) {
    process.stdout.write(usage)
    return
  }
  const result = await Bench.use(planned.options, async (bench) => {
    const figures = await planned.run(bench)
    return { bench: planned.name, ...figures, ...bench.description(), options: planned.shown }
  })
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n\n${usage}`)
    process.exitCode = 2
  } else if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  } else if (error instanceof Interrupted) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 130
  } else {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
    process.exitCode = 1
  }
}
