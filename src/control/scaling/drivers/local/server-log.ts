import { open, rename, stat } from 'node:fs/promises'
import { systemErrorCode } from './local-cluster-error.ts'

/** A log larger than this becomes `….1` at the next start of its server, in place of an older one. */
const rotateBytes = 16 * 1024 * 1024
const tailBytes = 4096
const tailLines = 8

/** Length of a log file in bytes; 0 when there is none. */
export async function logSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return 0
    throw error
  }
}

/** To be called while no server writes to the log: sets a large one aside, so that two of them is the most there are. */
export async function rotateLog(path: string): Promise<void> {
  if ((await logSize(path)) > rotateBytes) await rename(path, `${path}.1`)
}

/** A sentence with the last lines that were written after `offset`, for people who ask why a server did not start. */
export async function logTail(path: string, offset: number): Promise<string> {
  const size = await logSize(path)
  const length = Math.min(size - offset, tailBytes)
  if (length <= 0) return `It wrote nothing to its log, ${path}.`
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
    const lines = buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').slice(-tailLines)
    return `Its log, ${path}, ends with:\n${lines.map((line) => `  ${line}`).join('\n')}`
  } finally {
    await file.close()
  }
}
