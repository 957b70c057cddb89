import type { NativeBuffer } from '../io/native.ts'
import { FRONTEND, HEADER_BYTES, STATUS, textEnd } from '../protocol/message-type.ts'
import { writeReady } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { REPLY } from '../server/reply-queue.ts'
import type { Effects } from '../sql/statement-effects.ts'
import { answersExtended } from './extended-begin.ts'
import { closeNamed, describeNamed } from './named-statements.ts'
import { attach, staysOnReplica } from './read-passage.ts'
import { isTooShort, type RequestHandler, type RequestPassage, SEEN_BYTES } from './request-passage.ts'
import { routerAnswer } from './router-answers.ts'
import { admitListening, noteUnseen } from './session-effects.ts'
import { prepares } from './sql-statements.ts'
import type { StatementRelay } from './statement-relay.ts'
import { noteComment } from './tier-questions.ts'
import { isSqlUncertain, isTargetUncertain, isUncertain } from './uncertain-statements.ts'

const writer = new MessageWriter()
const NO_EFFECTS: Effects = { pins: 0, flags: 0, settings: [], values: [], channels: [], calls: null }

/** A Parse; what its statement does counts when it is executed. */
export const parseRequest: RequestHandler = (relay, source, at, stop, end) => {
  if (isTooShort(at, stop, end)) return -1
  const { bytes } = source
  const nameEnd = textEnd(bytes, at + HEADER_BYTES, Math.min(stop, end))
  if (nameEnd < 0) {
    relay.session.violate('malformed Parse message')
    return end
  }
  if (relay.session.server === null) {
    const answered = answersExtended(relay, source, at, end)
    if (answered !== at) return answered
    noteCommentOfParse(relay, source, nameEnd + 1, Math.min(stop, end))
  }
  if (!attach(relay, source, at, end)) return -1
  const statements = relay.needStatements()
  const isUnnamed = nameEnd === at + HEADER_BYTES
  if (statements.mustWait || (!isUnnamed && statements.isOnTrial)) return relay.wait()
  if (!isUnnamed && isUncertain(statements, source, at + HEADER_BYTES, nameEnd)) return relay.wait()
  if (stop <= end && statements.isAgain(bytes, at, nameEnd, stop)) return parseAgain(relay, source, at, stop)
  const facts = relay.look(source, nameEnd + 1, stop, end)
  const effects = relay.effectsOf(facts)
  relay.session.seat.prepare(effects)
  if (relay.skipped()) return relay.abandonText(stop)
  relay.session.seat.foresee(effects)
  const { slot } = relay.session
  const sqlEnd = stop > end ? -1 : bytes.indexOf(0, nameEnd + 1)
  const question = sqlEnd < 0 ? null : routerAnswer(relay.host, slot, bytes, nameEnd + 1, sqlEnd)
  if (question === null) statements.parse(source, at, nameEnd, stop, end, facts)
  else statements.parseInstead(source, at, nameEnd, question, facts)
  // Of a statement whose name is taken, nothing has to be sent.
  relay.bodyGoesOn = stop <= end || statements.isLong
  return relay.bodyGoesOn ? stop : relay.abandonText(stop)
}

/** The unnamed statement, as it was before: many drivers send the same one for every query. */
function parseAgain(relay: RequestPassage, source: NativeBuffer, at: number, stop: number): number {
  const statements = relay.needStatements()
  const effects = statements.book.unnamed.effects
  relay.forgetText()
  relay.session.seat.prepare(effects)
  if (relay.skipped()) return stop
  if (effects !== null) relay.session.seat.foresee(effects)
  statements.parseAgain(source, at, stop)
  return stop
}

/** `start`: where the text begins. */
function noteCommentOfParse({ host, session }: RequestPassage, source: NativeBuffer, start: number, end: number): void {
  if (!host.analyzer.values.hints) return
  const stop = source.bytes.indexOf(0, start)
  if (stop < end) noteComment(host, session.slot, source, start, stop < 0 ? end : stop)
}

/** The client's statements, for a message that names one of them; null: keep the message for later. */
function statementsFor(
  relay: RequestPassage,
  source: NativeBuffer,
  at: number,
  stop: number,
  end: number,
): StatementRelay | null {
  if ((stop > end && stop - at <= SEEN_BYTES) || !attach(relay, source, at, end)) return null
  const statements = relay.needStatements()
  if (!statements.mustWait) return statements
  relay.wait()
  return null
}

/** A Bind: what its statement does is noted now; what it sets counts when it is executed. */
export const bindRequest: RequestHandler = (relay, source, at, stop, end) => {
  if (relay.session.server === null && relay.book?.hasTransactionControl === true && stop <= end) {
    const answered = answersExtended(relay, source, at, end)
    if (answered !== at) return answered
  }
  const statements = statementsFor(relay, source, at, stop, end)
  if (statements === null) return -1
  const session = relay.session
  const effects = statements.effectsOfBind(source, at, stop, end)
  if (effects === undefined) return end
  if (statements.isBindUncertain(source) || (effects !== null && isSqlUncertain(statements, effects)))
    return relay.wait()
  if (session.seat.reads.isInReplicaTransaction && !staysOnReplica(relay, effects ?? NO_EFFECTS, statements.boundText))
    return relay.leaveReplica(source, at, stop, end)
  if (effects !== null && !admitListening(session, effects)) return relay.hold()
  session.seat.prepare(effects)
  if (relay.skipped()) return stop
  if (effects !== null && session.settings.mustWait(effects, session.server)) return relay.hold()
  const text = statements.boundText
  if (text !== null && prepares(effects)) statements.needInSql().refusePrepared(text)
  statements.noteBind(effects)
  if (relay.host.catalogues.isWatching) noteUnseen(session, text, 0, text === null ? 0 : text.indexOf(0))
  relay.bodyGoesOn = true
  statements.bind(source, at, stop, end)
  return stop
}

/** An Execute. */
export const executeRequest: RequestHandler = (relay, source, at, stop, end) => {
  if (!attach(relay, source, at, end)) return -1
  relay.session.seat.prepare(null)
  if (relay.skipped()) return stop
  relay.statements?.noteExecute()
  relay.push(REPLY.execute)
  return relay.forward(source, at, stop, end)
}

/** Describe and Close. */
export const namedRequest: RequestHandler = (relay, source, at, stop, end) => {
  const statements = statementsFor(relay, source, at, stop, end)
  if (statements === null) return -1
  if (isTargetUncertain(statements, source, at, stop, end)) return relay.wait()
  relay.session.seat.prepare(null)
  if (relay.skipped()) return stop
  relay.bodyGoesOn = true
  const isRight =
    source.bytes[at] === FRONTEND.describe
      ? describeNamed(statements, source, at, stop)
      : closeNamed(statements, source, at, stop)
  return isRight ? stop : end
}

/** A Sync: answered here while no server connection is attached. */
export const syncRequest: RequestHandler = (relay, source, at, stop, end) => {
  const { server } = relay.session
  if (!server) {
    // Nothing is open, so nothing needs a server to be closed.
    const { listening } = relay.session
    if (listening?.isConcerned && relay.session.idleStatus === STATUS.idle) {
      listening.end(null)
      return stop
    }
    writeReady(writer.reset(), relay.session.idleStatus)
    relay.session.send(writer.bytes)
    return stop
  }
  // While copying in, the server reads and ignores it.
  if (!server.relay.answers.ignoresSync) {
    relay.push(REPLY.sync)
    relay.session.noteRequest()
  }
  return relay.forward(source, at, stop, end)
}

/** A Flush: answers of ours that none of the server's come before are given now. */
export const flushRequest: RequestHandler = (relay, source, at, stop, end) => {
  const { server } = relay.session
  if (!server) return stop
  // Answers of ours that nothing of the server's will come before.
  relay.host.toClient.begin(relay.session.link)
  server.relay.answers.synthesize()
  relay.host.toClient.flush()
  return relay.forward(source, at, stop, end)
}
