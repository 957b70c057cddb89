import pg from 'pg'
import type { Family } from './family.ts'
import { between, FromAddress, LabClient, type LabIdentity, pick, type Workbench, whole } from './workbench.ts'

/** How long connections of a family without `lifeMs` live. */
const LIFE_MS: readonly [number, number] = [4_000, 60_000]
const PAUSE_MS: readonly [number, number] = [50, 1_500]
const PASSWORD = 'laboratory'

/** What is true of one connection, whatever it looked like. */
export interface Truth {
  readonly family: string
  readonly tier: string
  readonly kind: 'honest' | 'shared' | 'forged'
  readonly port: number
  /** Milliseconds since 1970. */
  readonly connectedAt: number
}

export interface LabRun {
  readonly port: number
  readonly random: () => number
  /** Milliseconds since 1970. */
  readonly endsAt: number
  readonly onTruth: (truth: Truth) => void
  readonly onError: (family: string, error: unknown) => void
}

/** One client of a family: connects, does what such clients do, leaves, and comes again, until the lab ends. */
export async function runClient(family: Family, kind: Truth['kind'], number: number, run: LabRun): Promise<void> {
  const { random } = run
  const identity = family.identities[number % family.identities.length] as LabIdentity
  // Not all at once.
  await sleep(between(random, 1, 4_000))
  while (Date.now() < run.endsAt) {
    try {
      await runConnection(family, identity, kind, run)
    } catch (error) {
      run.onError(family.name, error)
    }
    const [low, high] = family.pauseMs ?? PAUSE_MS
    await sleep(Math.min(between(random, low, high), Math.max(0, run.endsAt - Date.now())))
  }
}

async function runConnection(family: Family, identity: LabIdentity, kind: Truth['kind'], run: LabRun): Promise<void> {
  const { random } = run
  const [low, high] = family.lifeMs ?? LIFE_MS
  const endsAt = Math.min(run.endsAt, Date.now() + between(random, low, high))
  const bench: Workbench = { random, endsAt, port: run.port, sleep, connect: () => open(identity, family, run) }
  const client = await open(identity, family, run)
  const socket = (client.pg as unknown as { connection: { stream: { localPort?: number } } }).connection.stream
  run.onTruth({ family: family.name, tier: family.tier, kind, port: socket.localPort ?? 0, connectedAt: Date.now() })
  try {
    await family.run(client, bench, () => Date.now() < endsAt)
  } finally {
    await client.end()
  }
}

async function open(identity: LabIdentity, family: Family, run: LabRun): Promise<LabClient> {
  const { random } = run
  const application = identity.application
    .replaceAll('{n}', () => String(whole(random, 1, 60)))
    .replaceAll('{h}', () => Array.from({ length: 8 }, () => pick(random, [...'0123456789abcdef'])).join(''))
  const address = `${identity.subnet}.${whole(random, 1, 250)}`
  const client = new pg.Client({
    host: '127.0.0.1',
    port: run.port,
    user: identity.user,
    password: PASSWORD,
    database: family.database,
    ...(application === '' ? {} : { application_name: application }),
    ...(family.settings === undefined ? {} : { options: settingsText(family.settings) }),
    stream: () => new FromAddress(address),
  })
  client.on('error', () => {})
  await client.connect()
  return new LabClient(client, () => {})
}

function settingsText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ')
}

async function sleep(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/** The password of every role in the laboratory. */
export const LAB_PASSWORD = PASSWORD
