import { RouterError } from '../errors.ts'
import type { ControlReport } from '../memory/keeper-control-protocol.ts'

/** The version is checked, which starts a process, before the answer comes. */
const ANSWER_MS = 60_000

interface Asked {
  resolve(text: string): void
  reject(error: RouterError): void
}

/** Wishes for an upgrade, and what the keeper says to them. */
export class UpgradeLine {
  readonly #report: (report: ControlReport) => void
  readonly #asked = new Map<number, Asked>()
  #lastId = 0
  /** For people; '' when there was no upgrade yet. */
  status: string

  constructor(report: (report: ControlReport) => void, status: string) {
    this.#report = report
    this.status = status
  }

  /** Settles when it has begun, with a sentence; rejects with 55000 when it has not, with the reason. */
  begin(program: string | null): Promise<string> {
    this.#lastId++
    const id = this.#lastId
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.answer(id, 'The keeper does not answer.'), ANSWER_MS)
      const settled = (settle: () => void): void => {
        clearTimeout(timer)
        this.#asked.delete(id)
        settle()
      }
      this.#asked.set(id, {
        resolve: (text) => settled(() => resolve(text)),
        reject: (error) => settled(() => reject(error)),
      })
      this.#report({ op: 'upgrade', id, program })
    })
  }

  /** The keeper's answer. */
  answer(id: number, refused: string | null): void {
    const asked = this.#asked.get(id)
    if (refused === null) {
      asked?.resolve(
        'The upgrade has begun. This console is closed when the control process is replaced; SHOW STATE and SHOW ' +
          'PRESERVATION tell how it went.',
      )
    } else {
      asked?.reject(
        new RouterError('55000', refused, { origin: 'router', hint: 'Nothing has happened: what ran before runs on.' }),
      )
    }
  }
}
