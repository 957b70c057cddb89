import type { Socket } from 'node:net'
import { RouterError } from '../../errors.ts'
import type { PlaneCommand, PlaneEvent } from '../../memory/control-protocol.ts'
import { encodeFrame, FrameDecoder } from '../../memory/frame-codec.ts'

/** Removes the member that the connection adds. */
type WithoutId<C> = C extends { readonly id: number } ? Omit<C, 'id'> : never
/** A command that a plane answers with `done`. */
export type AnsweredCommand = WithoutId<PlaneCommand>

type Done = Extract<PlaneEvent, { op: 'done' }>

/** Who hears what a plane says. */
export interface PlaneConnectionHooks {
  readonly onEvent: (event: Exclude<PlaneEvent, Done>) => void
  /** Once, with the reason when it was not a plain end. */
  readonly onClosed: (error: Error | null) => void
}

interface Pending {
  resolve(): void
  reject(error: RouterError): void
}

/** One plane on the other side of a socket, which this owns. */
export class PlaneConnection {
  readonly #socket: Socket
  readonly #pending = new Map<number, Pending>()
  readonly #closed = Promise.withResolvers<void>()
  #name = 'a plane'
  #nextId = 1

  constructor(socket: Socket, hooks: PlaneConnectionHooks) {
    this.#socket = socket
    const decoder = new FrameDecoder<PlaneEvent>()
    let failure: Error | null = null
    socket.on('error', (error) => {
      failure = error
    })
    socket.on('data', (chunk) => {
      try {
        for (const event of decoder.push(chunk)) this.#dispatch(event, hooks)
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      this.#failPending()
      this.#closed.resolve()
      hooks.onClosed(failure)
    })
  }

  /** Settles when the socket is closed. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  /** For messages; known after its hello. */
  set name(name: string) {
    this.#name = name
  }

  /** Hands over what needs no answer. */
  tell(command: PlaneCommand): void {
    if (!this.#socket.destroyed) this.#socket.write(encodeFrame(command))
  }

  /** Settles when the plane says it is done; rejects with a RouterError (58000) when it refuses or goes away. */
  ask(command: AnsweredCommand): Promise<void> {
    const id = this.#nextId
    this.#nextId++
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(this.#goneError())
        return
      }
      this.#pending.set(id, { resolve, reject })
      this.tell({ ...command, id } as PlaneCommand)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #dispatch(event: PlaneEvent, hooks: PlaneConnectionHooks): void {
    if (event.op !== 'done') {
      hooks.onEvent(event)
      return
    }
    const pending = this.#pending.get(event.id)
    this.#pending.delete(event.id)
    if (event.error === null) pending?.resolve()
    else pending?.reject(new RouterError('58000', `${this.#name}: ${event.error}`, { origin: 'router' }))
  }

  #failPending(): void {
    for (const pending of this.#pending.values()) pending.reject(this.#goneError())
    this.#pending.clear()
  }

  #goneError(): RouterError {
    return new RouterError('58000', `${this.#name} went away before it had carried out the command.`, {
      origin: 'router',
    })
  }
}
