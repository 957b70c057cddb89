import { readdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import pg from 'pg'
import { parse } from 'smol-toml'
import type { ContinuityBed } from './continuity-bed.ts'
import { mergeSettings, type RouterSettings } from './router-settings.ts'
import { openConsole } from './testbed.ts'
import { waitUntil } from './wait-until.ts'

/** What tests of scaling look at, also while control is being replaced and when the primary is another one. */
export class ScalingBed {
  readonly bed: ContinuityBed

  constructor(bed: ContinuityBed) {
    this.bed = bed
  }

  /** Where the servers of the bed have their directories, and where new ones get theirs. */
  get shardsDirectory(): string {
    return dirname(dirname(this.bed.shards[0]!.dataDirectory))
  }

  /** Rows of a console command, over a connection of its own: control may have been another one for the last command. */
  async ask(command: string): Promise<readonly Record<string, string>[]> {
    const console = await openConsole(this.bed.router)
    try {
      return (await console.query(command)).rows
    } finally {
      await console.end()
    }
  }

  /** Notices of a console command. */
  async told(command: string): Promise<readonly string[]> {
    const console = await openConsole(this.bed.router)
    const notices: string[] = []
    console.on('notice', ({ message }) => notices.push(message ?? ''))
    try {
      await console.query(command)
      return notices
    } finally {
      await console.end()
    }
  }

  async names(): Promise<string> {
    return (await this.ask('SHOW SHARDS')).map(({ name }) => name).join()
  }

  async primary(): Promise<string | undefined> {
    return (await this.ask('SHOW SHARDS')).find(({ role, up }) => role === 'primary' && isTrue(up))?.name
  }

  /** Whether all shards are up. */
  async isWhole(): Promise<boolean> {
    return (await this.ask('SHOW SHARDS')).every(({ up }) => isTrue(up))
  }

  /** The newest operation. */
  async operation(): Promise<Record<string, string>> {
    return (await this.ask('SHOW OPERATIONS'))[0] ?? {}
  }

  /** The end of the newest operation, which is `text`; in spite of a console that is away for a moment. */
  async ended(text: string): Promise<Record<string, string>> {
    const hasEnded = ({ operation, state }: Record<string, string>): boolean =>
      operation === text && state !== 'running'
    await waitUntil(`the end of ${text}`, async () => hasEnded(await this.operation()), { timeoutMs: 60_000 })
    return await this.operation()
  }

  /** Reads of a tier that began on a shard. */
  async reads(name: string): Promise<number> {
    const rows = await this.ask('SHOW SLOTS')
    return rows.filter(({ shard }) => shard === name).reduce((sum, { admitted }) => sum + Number(admitted), 0)
  }

  /** Names of the slots on the server at this port, in one text. */
  async slots(port: number): Promise<string> {
    const client = new pg.Client({ host: '127.0.0.1', port, ...this.bed.login })
    await client.connect()
    try {
      const { rows } = await client.query('SELECT slot_name AS name FROM pg_replication_slots ORDER BY 1')
      return rows.map(({ name }) => name).join()
    } finally {
      await client.end()
    }
  }

  /** How many servers run on data below a directory. A process that has just begun looks like its postmaster. */
  servers(directory: string): number {
    const found = new Set<string>()
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const data = dataDirectoryOf(pid)
      if (data.startsWith(`${directory}/`)) found.add(data)
    }
    return found.size
  }

  /** Changes the configuration. */
  async reload(changes: RouterSettings): Promise<void> {
    const present = parse(readFileSync(this.bed.router.configFile, 'utf8')) as RouterSettings
    this.bed.router.writeSettings(mergeSettings(present, changes))
    await this.ask('RELOAD')
  }
}

/** '' for what is no server. */
function dataDirectoryOf(pid: string): string {
  try {
    const [program = '', option, data = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return program.endsWith('/postgres') && option === '-D' ? data : ''
  } catch {
    return ''
  }
}

function isTrue(value: unknown): boolean {
  return value === true || value === 't'
}
