import type { Tier } from '../../src/shard/tier.ts'
import type { LabClient, LabIdentity, Workbench } from './workbench.ts'

/** Clients of one kind: the same purpose, with chance in everything else. */
export interface Family {
  readonly name: string
  /** What such a client is, whatever it calls itself. */
  readonly tier: Tier
  readonly database: string
  /** Deployments of it: each is an identity of its own. `{n}` becomes a number, `{h}` hexadecimal digits. */
  readonly identities: readonly LabIdentity[]
  /** Connections at once. */
  readonly parallel: number
  /** From one connection to the next of the same client, milliseconds. */
  readonly pauseMs?: readonly [low: number, high: number]
  /** How long a connection lives at most, milliseconds. */
  readonly lifeMs?: readonly [low: number, high: number]
  readonly settings?: Readonly<Record<string, string>>
  /** What one connection does; ends soon after `until()` says no. */
  run(client: LabClient, bench: Workbench, until: () => boolean): Promise<void>
}
