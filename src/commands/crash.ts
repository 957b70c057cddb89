import { ConfigError } from '../errors.ts'
import { CRASH_POINTS, type Crash, type CrashPoint } from '../io/steps.ts'

/**
 * For tests of crashes: `SWITCHYARD_CRASH=committed:100` makes each plane die at its hundredth commit, right after it. The
 * points are CRASH_POINTS. Null when nothing is asked for; throws ConfigError for what is no point and number.
 */
export function readCrash(text: string | undefined, die: () => void): Crash | null {
  if (text === undefined || text === '') return null
  const [name, count] = text.split(':')
  const point = CRASH_POINTS.find((one) => one === name)
  let left = Number(count)
  if (point === undefined || !Number.isInteger(left) || left < 1) {
    throw new ConfigError(
      `SWITCHYARD_CRASH is "${text}"; it has to be one of ${CRASH_POINTS.join(', ')}, ":" and a number`,
    )
  }
  return { isDue: (asked: CrashPoint) => asked === point && --left === 0, die }
}
