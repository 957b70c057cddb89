import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IDENTITY } from '../memory/identity-records.ts'
import { IDENTITY_RECORD_BYTES, PROFILE_RECORD_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { IdentityProfiles } from './identity-profiles.ts'

const RECORDS = 200
const names = (user: string) => ({ user, database: 'shop', application: 'web', subnet: '10.0.0.0/24' })

test('a successor knows the identities of before, also behind one that was not written to its end', () => {
  const region = new Region(new ArrayBuffer(RECORDS * IDENTITY_RECORD_BYTES), 0, IDENTITY_RECORD_BYTES, RECORDS)
  const profiles = new Region(new ArrayBuffer(PROFILE_RECORD_BYTES), 0, PROFILE_RECORD_BYTES, 1)
  const open = (): IdentityProfiles => new IdentityProfiles(region, profiles, 0, RECORDS)
  const first = open()
  assert.deepEqual(
    ['ada', 'bob', 'eve'].map((user) => first.recordOf(names(user), 1)),
    [0, 1, 2],
  )
  region.clear(1)
  const second = open()
  assert.deepEqual([second.size, second.recordOf(names('eve'), 2), second.recordOf(names('new'), 2)], [2, 2, 3])
  // Nobody can have come here: they are taken in their order.
  region.i32[150 * (IDENTITY_RECORD_BYTES >> 2) + IDENTITY.used] = 1
  assert.equal(open().size, 3, 'what nobody has used is not looked through')
})
