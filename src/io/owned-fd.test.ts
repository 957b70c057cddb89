import assert from 'node:assert/strict'
import { fstatSync } from 'node:fs'
import { test } from 'node:test'
import { OwnedFd } from './owned-fd.ts'
import { openSocketPair } from './socket.ts'

const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd)
    return true
  } catch {
    return false
  }
}

test('a number closed by its owner is closed once, whoever has it afterwards', () => {
  const [left, right] = openSocketPair()
  const number = left.fd
  left.close()
  assert.equal(left.closed, true)
  assert.equal(isOpen(number), false)
  const [next, other] = openSocketPair()
  assert.equal(next.fd, number)
  left.close()
  assert.equal(isOpen(number), true)
  for (const one of [right, next, other]) one.close()
})

test('an owner that gave its number away neither knows nor closes it', () => {
  const [left, right] = openSocketPair()
  const heir = new OwnedFd(left.take())
  assert.equal(left.closed, true)
  left.close()
  assert.equal(isOpen(heir.fd), true)
  assert.throws(() => left.fd, /used after its owner closed it or gave it away/)
  assert.throws(() => left.take(), /used after/)
  heir.close()
  right.close()
})
