import assert from 'node:assert/strict'
import type { WireClient } from './wire-client.ts'
import * as wire from './wire-frames.ts'
import { shapeOf } from './wire-message.ts'

/** Prepares a statement, which must succeed. */
export async function prepare(client: WireClient, name: string, sql: string): Promise<void> {
  const answer = await client.exchange(Buffer.concat([wire.parse(name, sql), wire.sync()]))
  assert.equal(shapeOf(answer), '1Z')
}

/** Frames that run a prepared statement, up to their Sync. */
export function run(name: string, values: readonly string[] = []): Buffer {
  return Buffer.concat([wire.bind('', name, values), wire.execute(''), wire.sync()])
}
