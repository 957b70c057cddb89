import type { Measurement } from './measure.ts'
import { type Mode, type Peer, type PeerName, peerNames } from './peer.ts'
import { median, ratio, significant } from './statistics.ts'
import { formatTable } from './text-table.ts'

/** One run for each peer, one right after the other. */
export type Round = Partial<Record<PeerName, Measurement>>

/** A mode and a number of clients, with what every round showed. */
export interface Cell {
  readonly mode: Mode
  readonly clients: number
  readonly rounds: readonly Round[]
}

type Figure = 'tps' | 'p50Ms' | 'p99Ms' | 'cpuUsPerTx'
export type ReportedPeer = Pick<Peer, 'name' | 'pooling'>

const goals: readonly { readonly mode: Mode; readonly clients: number }[] = [
  { mode: 'simple', clients: 1 },
  { mode: 'simple', clients: 16 },
  { mode: 'simple', clients: 64 },
  { mode: 'paced', clients: 16 },
  { mode: 'paced', clients: 64 },
]

/** Whether a cell's ratios get keys of their own in the JSON line, such as `cpu_ratio_16`. */
export function isGoal(mode: Mode, clients: number): boolean {
  return goals.some((goal) => goal.mode === mode && goal.clients === clients)
}

/** A round on one line, for whoever watches. */
export function roundLine(round: Round): string {
  const parts = peerNames.map((name) => {
    const result = round[name]
    if (result === undefined) return ''
    const cpu = result.cpuUsPerTx === null ? '' : `, ${result.cpuUsPerTx.toFixed(1)} µs`
    return `${name} ${result.tps?.toFixed(0) ?? '?'} tps${cpu}`
  })
  return parts.filter((part) => part !== '').join(' | ')
}

/** The cells as a table: medians over their rounds. */
export function throughputTable(cells: readonly Cell[], peers: readonly ReportedPeer[]): string {
  const header = ['mode', 'clients', 'peer', 'pooling', 'tps', 'p50 ms', 'p99 ms', 'added p50 ms', 'CPU µs/tx']
  const hasBefore = peers.some(({ name }) => name === 'before')
  const rows = cells.flatMap((cell) =>
    peers.map((peer) => [
      cell.mode,
      String(cell.clients),
      peer.name,
      peer.pooling(cell.mode),
      text(figure(cell, peer.name, 'tps'), 0),
      text(figure(cell, peer.name, 'p50Ms'), 3),
      text(figure(cell, peer.name, 'p99Ms'), 3),
      text(addedMs(cell, peer.name), 3),
      text(figure(cell, peer.name, 'cpuUsPerTx'), 1),
      peer.name === 'switchyard' ? text(median(cpuRatios(cell, 'pgbouncer')), 2) : '',
      peer.name === 'switchyard' ? text(addedRatio(cell), 2) : '',
      ...(hasBefore ? [peer.name === 'switchyard' ? text(median(cpuRatios(cell, 'before')), 2) : ''] : []),
      String(failures(cell, peer.name)),
    ]),
  )
  const ratios = ['CPU ÷ PgB', 'added ÷ PgB', ...(hasBefore ? ['CPU ÷ before'] : [])]
  return formatTable([...header, ...ratios, 'failed'], rows, { leftColumns: 4 })
}

/** The figures of the JSON line. Where a peer was left out, or a ratio says nothing, there is null. */
export function throughputFigures(cells: readonly Cell[], peers: readonly ReportedPeer[]): Record<string, unknown> {
  const perPeer = (value: (cell: Cell, peer: PeerName) => number | null) =>
    Object.fromEntries(peers.map((peer) => [peer.name, perCell(cells, (cell) => value(cell, peer.name))]))
  return {
    ...goalFigures(cells),
    cpu_ratio: perCell(cells, (cell) => significant(median(cpuRatios(cell, 'pgbouncer')))),
    cpu_over_before: perCell(cells, (cell) => significant(median(cpuRatios(cell, 'before')))),
    cpu_over_before_rounds: perCell(cells, (cell) => cpuRatios(cell, 'before').map((value) => significant(value))),
    added_p50_ratio: perCell(cells, (cell) => significant(addedRatio(cell))),
    cpu_us_per_tx: perPeer((cell, peer) => significant(figure(cell, peer, 'cpuUsPerTx'))),
    tps: perPeer((cell, peer) => significant(figure(cell, peer, 'tps'), 5)),
    p50_ms: perPeer((cell, peer) => significant(figure(cell, peer, 'p50Ms'))),
    p99_ms: perPeer((cell, peer) => significant(figure(cell, peer, 'p99Ms'))),
    added_p50_ms: perPeer((cell, peer) => significant(addedMs(cell, peer))),
    failed: perPeer(failures),
    rounds: perCell(cells, (cell) => cell.rounds.length),
    pooling: Object.fromEntries(
      peers.map((peer) => [peer.name, Object.fromEntries(cells.map(({ mode }) => [mode, peer.pooling(mode)]))]),
    ),
  }
}

/** `cpu_ratio_16`, `cpu_ratio_16_rounds`, `added_p50_ratio_16` … of mode simple, and the same with `_paced` of mode paced; null when not run. */
function goalFigures(cells: readonly Cell[]): Record<string, unknown> {
  const figures: Record<string, unknown> = {}
  for (const { mode, clients } of goals) {
    const cell = cells.find((candidate) => candidate.mode === mode && candidate.clients === clients)
    const cpu = cell === undefined ? [] : cpuRatios(cell, 'pgbouncer')
    const suffix = `${mode === 'paced' ? '_paced' : ''}_${clients}`
    figures[`cpu_ratio${suffix}`] = significant(median(cpu))
    figures[`cpu_ratio${suffix}_rounds`] = cpu.map((value) => significant(value))
    figures[`added_p50_ratio${suffix}`] = cell === undefined ? null : significant(addedRatio(cell))
  }
  return figures
}

/** The median over a cell's rounds of one figure of one peer. */
function figure(cell: Cell, peer: PeerName, key: Figure): number | null {
  return median(cell.rounds.map((round) => round[peer]?.[key] ?? null))
}

function failures(cell: Cell, peer: PeerName): number {
  return cell.rounds.reduce((sum, round) => sum + (round[peer]?.failed ?? 0), 0)
}

/** Switchyard's CPU time per transaction over another peer's, round by round: load on the machine changes between rounds. */
function cpuRatios(cell: Cell, other: 'pgbouncer' | 'before'): (number | null)[] {
  return cell.rounds.map((round) => ratio(round.switchyard?.cpuUsPerTx ?? null, round[other]?.cpuUsPerTx ?? null))
}

/** How much longer than directly the median transaction takes through a proxy, in the same round; the median over the rounds. */
function addedMs(cell: Cell, peer: PeerName): number | null {
  if (peer === 'direct') return null
  const differences = cell.rounds.map((round) => {
    const direct = round.direct?.p50Ms ?? null
    const through = round[peer]?.p50Ms ?? null
    return direct === null || through === null ? null : through - direct
  })
  return median(differences)
}

/**
 * What Switchyard adds to the median latency over what PgBouncer adds. Null where PgBouncer adds nothing: once clients outnumber
 * cores, few warm server processes behind a pool answer sooner than many cold ones without.
 */
function addedRatio(cell: Cell): number | null {
  return ratio(addedMs(cell, 'switchyard'), addedMs(cell, 'pgbouncer'))
}

function text(value: number | null, digits: number): string {
  return value === null ? '–' : value.toFixed(digits)
}

/** `{ mode: { clients: value } }`. */
function perCell<T>(cells: readonly Cell[], value: (cell: Cell) => T): Record<string, Record<string, T>> {
  const result: Record<string, Record<string, T>> = {}
  for (const cell of cells) {
    result[cell.mode] = { ...result[cell.mode], [cell.clients]: value(cell) }
  }
  return result
}
