import type { NativeBuffer } from '../io/native.ts'
import { PIN } from '../memory/client-slots.ts'
import { HEADER_BYTES } from '../protocol/message-type.ts'
import { writeQuery } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY } from '../server/reply-queue.ts'
import { dropUnnamed } from '../server/unnamed-owner.ts'
import { FACT } from '../sql/statement-effects.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import { answersHere } from './deferred-begin.ts'
import { attach, staysOnReplica } from './read-passage.ts'
import { isTooShort, type RequestHandler, type RequestPassage } from './request-passage.ts'
import { routerAnswer } from './router-answers.ts'
import { admitListening, noteEffects, noteUnseen } from './session-effects.ts'
import { noteComment } from './tier-questions.ts'
import { isSqlUncertain } from './uncertain-statements.ts'

const writer = new MessageWriter()

/** A Query. */
export const queryRequest: RequestHandler = (relay, source, at, stop, end) => {
  if (isTooShort(at, stop, end)) return -1
  const { slot, server } = relay.session
  const sqlEnd = Math.min(stop - 1, end)
  if (server === null && answersHere(relay.session, source.bytes, at + HEADER_BYTES, sqlEnd)) return stop
  if (server === null) noteComment(relay.host, slot, source, at + HEADER_BYTES, sqlEnd)
  // Nobody holds a server connection while the rest of a message is on its way, and nothing is looked at in vain.
  if (!attach(relay, source, at, end)) return -1
  const facts = relay.look(source, at + HEADER_BYTES, stop, end)
  const effects = relay.effectsOf(facts)
  if (relay.session.seat.reads.isInReplicaTransaction) {
    const text = stop <= end ? source.bytes.subarray(at + HEADER_BYTES, sqlEnd) : null
    if (!staysOnReplica(relay, effects, text)) return relay.leaveReplica(source, at, stop, end)
  }
  if (!admitListening(relay.session, effects)) return relay.hold()
  if (relay.statements !== null && isSqlUncertain(relay.statements, facts)) return relay.wait()
  relay.session.seat.prepare(effects)
  if (relay.skipped()) return relay.abandonText(stop)
  if (relay.session.settings.mustWait(!relay.isPassing ? facts : null, relay.session.server)) return relay.hold()
  if ((facts.flags & FACT.executes) !== 0) noteExecuted(relay, source, facts)
  relay.session.seat.foresee(effects)
  noteEffects(relay.session, effects)
  if (relay.host.catalogues.isWatching) {
    noteUnseen(relay.session, relay.isPassing ? null : source.bytes, at + HEADER_BYTES, sqlEnd)
  }
  const renamed = noteQuery(relay, source, at, stop, end, facts)
  noteMixture(relay)
  relay.push(REPLY.query)
  relay.session.noteRequest()
  relay.bodyGoesOn = true
  if (renamed) return stop
  const question = routerAnswer(relay.host, slot, source.bytes, at + HEADER_BYTES, sqlEnd)
  if (question === null) return relay.forward(source, at, stop, end)
  writeQuery(writer.reset(), question)
  relay.host.toServer.insert(writer.bytes)
  return stop
}

/**
 * A query behind messages without their Sync: when that comes, PostgreSQL 18 may be left in a state in which the next statement on
 * that connection fails, whoever's it is (XX000, "unexpected state STARTED").
 */
function noteMixture({ session }: RequestPassage): void {
  const { server } = session
  if (server?.queue.unfinished) server.retired ??= 'it had a query among messages without their Sync'
}

/** Of what it does with prepared statements. True when it has been sent, with another name in it. */
function noteQuery(
  relay: RequestPassage,
  source: NativeBuffer,
  at: number,
  stop: number,
  end: number,
  facts: StatementFacts,
): boolean {
  const isPassing = relay.isPassing
  if (relay.statements === null && !isPassing && !concernsStatements(facts)) {
    const { server } = relay.session
    if (server !== null) dropUnnamed(server, relay.session.serial)
    return false
  }
  const statements = relay.needStatements()
  statements.noteQuery(facts, isPassing)
  return statements.rename(source, at, stop, end, facts)
}

/** EXECUTE does what the statement does that it names. */
function noteExecuted(relay: RequestPassage, source: NativeBuffer, facts: StatementFacts): void {
  const effects = relay.statements?.effectsOfExecute(source, facts) ?? null
  if (effects === null) return
  relay.session.seat.foresee(effects)
  noteEffects(relay.session, effects)
}

/** A FunctionCall. By object id: what it calls is anybody's guess. */
export const functionCallRequest: RequestHandler = (relay, source, at, stop, end) => {
  if (!attach(relay, source, at, end)) return -1
  if (relay.session.seat.reads.isInReplicaTransaction) return relay.leaveReplica(source, at, stop, end)
  relay.session.seat.prepare(null)
  if (relay.skipped()) return stop
  relay.session.settings.pin(PIN.unknownFunction)
  noteMixture(relay)
  relay.push(REPLY.functionCall)
  relay.session.noteRequest()
  return relay.forward(source, at, stop, end)
}

/** A query with these facts says something of prepared statements. */
function concernsStatements({ flags }: StatementFacts): boolean {
  return (flags & (FACT.executes | FACT.deallocates | FACT.deallocatesAll | FACT.discardsAll)) !== 0
}
