import type { Family } from './family.ts'
import type { LabIdentity } from './workbench.ts'

/** One role and name for everything: what it is can only be seen. */
const SHARED: readonly LabIdentity[] = [
  { user: 'shop', application: '', subnet: '127.0.50' },
  { user: 'app', application: 'django', subnet: '127.0.51' },
]
const FORGED_WEB: LabIdentity = { user: 'web', application: 'storefront', subnet: '127.0.10' }
const FORGED_OFFICE: LabIdentity = { user: 'office', application: 'backoffice', subnet: '127.0.21' }
const FORGED_BI: LabIdentity = { user: 'bi', application: 'Metabase v0.{n}', subnet: '127.0.30' }

/** Which of the families share a role, and which take another one's name. */
export const LIES: readonly {
  readonly family: string
  readonly identities: readonly LabIdentity[]
  readonly parallel: number
  readonly kind: 'shared' | 'forged'
}[] = [
  { family: 'orm-web', identities: SHARED, parallel: 4, kind: 'shared' },
  { family: 'checkout', identities: SHARED, parallel: 2, kind: 'shared' },
  { family: 'back-office', identities: SHARED, parallel: 4, kind: 'shared' },
  { family: 'dashboard', identities: SHARED, parallel: 2, kind: 'shared' },
  { family: 'cron', identities: SHARED, parallel: 2, kind: 'shared' },
  { family: 'etl-copy', identities: SHARED, parallel: 1, kind: 'shared' },
  { family: 'batch-update', identities: SHARED, parallel: 1, kind: 'shared' },
  { family: 'etl-copy', identities: [FORGED_WEB], parallel: 1, kind: 'forged' },
  { family: 'batch-update', identities: [FORGED_WEB], parallel: 1, kind: 'forged' },
  { family: 'export', identities: [FORGED_OFFICE], parallel: 1, kind: 'forged' },
  { family: 'orm-web', identities: [FORGED_BI], parallel: 1, kind: 'forged' },
]

/** The family as a liar runs it. */
export function asLiar(family: Family, identities: readonly LabIdentity[], parallel: number): Family {
  return { ...family, identities, parallel }
}
