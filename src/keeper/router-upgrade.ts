import type { Logger } from '../log.ts'
import { type Replaceable, type Replacement, replacePlane } from './plane-replacement.ts'
import type { Program } from './program.ts'
import type { ProgramCheck } from './program-check.ts'

/** What an upgrade replaces, one after the other, and asks first. */
export interface UpgradeParts {
  /** What runs, and what a refused upgrade leaves running. */
  readonly program: () => Program
  /** `program` is what everything runs from now on. */
  readonly adopt: (program: Program) => void
  readonly check: (program: Program) => Promise<ProgramCheck>
  readonly control: { replace(program: Program): Promise<Replacement> }
  readonly planes: readonly Replaceable[]
  /** Why there can be no upgrade now, as a sentence; null: there can. */
  readonly obstacle: () => string | null
  /** Sums of what became of clients so far. */
  readonly preserved: () => Preserved
  /** The status is another one. */
  readonly onStatus: (status: string) => void
  /** For people: the time of day. */
  readonly timeText: () => string
  readonly log: Logger
}

/** What became of clients. */
export interface Preserved {
  readonly kept: number
  readonly dropped: number
  /** Of the last take-over. */
  readonly stallMs: number
}

/** Whoever has asked for the upgrade. */
export interface UpgradeListener {
  /** Everything was checked: things happen from now on. */
  begun(text: string): void
  progress(text: string): void
}

export type UpgradeResult =
  | { readonly outcome: 'done'; readonly text: string }
  /** Nothing has happened. */
  | { readonly outcome: 'refused'; readonly text: string }
  /** The program of before runs, but processes were replaced. */
  | { readonly outcome: 'failed'; readonly text: string }

/**
 * Gives all work to processes of another version, or of the same one, while clients stay: the new program is asked whether it
 * can; then control is replaced, on which no query waits, and then the planes, one after another. When one of them does not
 * come up, those that were replaced go back. A rollback is an upgrade to the older program.
 */
export class RouterUpgrade {
  readonly #parts: UpgradeParts
  #isUnderWay = false
  #status: string

  /** `status`: of before this process. */
  constructor(parts: UpgradeParts, status: string) {
    this.#parts = parts
    this.#status = status
  }

  /** For people; '' when there was no upgrade yet. */
  get status(): string {
    return this.#status
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay
  }

  /** Never rejects. One at a time. */
  async run(program: Program, listener: UpgradeListener): Promise<UpgradeResult> {
    const obstacle = this.#isUnderWay ? 'Another upgrade is under way.' : this.#parts.obstacle()
    if (obstacle !== null) return { outcome: 'refused', text: obstacle }
    this.#isUnderWay = true
    const statusBefore = this.#status
    try {
      const result = await this.#carryOut(program, listener)
      if (result.outcome === 'refused') this.#setStatus(statusBefore)
      else this.#setStatus(`${this.#parts.timeText()}: ${result.text}`)
      this.#parts.log[result.outcome === 'done' ? 'info' : 'error'](`upgrade ${result.outcome}: ${result.text}`)
      return result
    } finally {
      this.#isUnderWay = false
    }
  }

  async #carryOut(program: Program, listener: UpgradeListener): Promise<UpgradeResult> {
    const { check, control, planes, preserved, adopt, log } = this.#parts
    const before = this.#parts.program()
    const tell = (text: string): void => {
      this.#setStatus(`under way: ${text}`)
      listener.progress(text)
    }
    this.#setStatus('under way: the program is checked')
    const verdict = await check(program)
    if (!verdict.usable) return { outcome: 'refused', text: verdict.reason }
    const { version } = verdict
    const sumsBefore = preserved()
    log.info({ program: program.join(' ') }, `upgrade to Switchyard ${version} begins`)
    listener.begun(`Switchyard ${version} can take over.`)
    tell('the control process is replaced')
    const controlled = await control.replace(program)
    if (!controlled.replaced) return { outcome: 'failed', text: `${controlled.reason} Clients noticed nothing.` }
    const replaced: Replaceable[] = []
    for (const plane of planes) {
      tell(`${plane.name} is replaced (${replaced.length + 1} of ${planes.length})`)
      const replacement = await replacePlane(plane, program, verdict.takesAhead)
      if (!replacement.replaced) {
        await this.#goBack(before, replaced, tell)
        return { outcome: 'failed', text: `${replacement.reason} ${sentenceOf(sumsBefore, preserved())}` }
      }
      replaced.push(plane)
    }
    adopt(program)
    return { outcome: 'done', text: `Switchyard ${version} serves. ${sentenceOf(sumsBefore, preserved())}` }
  }

  async #goBack(before: Program, replaced: readonly Replaceable[], tell: (text: string) => void): Promise<void> {
    const { control, log } = this.#parts
    for (const plane of [...replaced].reverse()) {
      tell(`${plane.name} goes back`)
      const back = await replacePlane(plane, before, false)
      if (!back.replaced) log.error(back.reason)
    }
    tell('the control process goes back')
    const back = await control.replace(before)
    if (!back.replaced) log.error(back.reason)
  }

  #setStatus(status: string): void {
    this.#status = status
    this.#parts.onStatus(status)
  }
}

function sentenceOf(before: Preserved, after: Preserved): string {
  const kept = after.kept - before.kept
  const dropped = after.dropped - before.dropped
  return `${kept} clients were kept, ${dropped} dropped; the longest wait was ${after.stallMs} ms.`
}
