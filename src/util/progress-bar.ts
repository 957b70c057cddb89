const CELLS = 24
const WIDTH = 76

/** A line for a terminal in place of the one before: how much of it is done, and what is done now. */
export function progressBar(done: number, total: number, text: string): string {
  const full = total === 0 ? CELLS : Math.floor((CELLS * done) / total)
  const bar = '█'.repeat(full) + '░'.repeat(CELLS - full)
  return `\r${`${bar} ${done} of ${total} ${text}`.padEnd(WIDTH).slice(0, WIDTH)}`
}

/** What takes the bar away. */
export const NO_BAR = `\r${' '.repeat(WIDTH)}\r`
