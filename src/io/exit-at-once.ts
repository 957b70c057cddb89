import { native } from './native.ts'

/**
 * Ends this process at once. `process.exit` takes Node apart first, and waits for threads of V8 that may be waiting for this one:
 * then it never ends (https://github.com/nodejs/node/issues/54918), with all that it has open, and whoever waits for its end waits for ever.
 * What was written to standard output and error is there, as far as there was room.
 */
export function exitAtOnce(code: number): never {
  native._exit(code)
  throw new Error('_exit has returned')
}
