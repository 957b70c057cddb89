/** An element of a `Fifo`; it is in one list at most. */
export interface FifoNode {
  fifoPrevious: FifoNode | null
  fifoNext: FifoNode | null
  /** The list it is in. */
  fifo: Fifo<FifoNode> | null
}

/** First in, first out, with constant-time removal from the middle. Intrusive: no allocation per element. */
export class Fifo<T extends FifoNode> {
  #first: FifoNode | null = null
  #last: FifoNode | null = null
  #length = 0

  get length(): number {
    return this.#length
  }

  get first(): T | null {
    return this.#first as T | null
  }

  get last(): T | null {
    return this.#last as T | null
  }

  push(node: T): void {
    if (node.fifo !== null) throw new Error('fifo: the element is in a list already')
    node.fifo = this as unknown as Fifo<FifoNode>
    node.fifoPrevious = this.#last
    node.fifoNext = null
    if (this.#last) this.#last.fifoNext = node
    else this.#first = node
    this.#last = node
    this.#length++
  }

  shift(): T | null {
    const node = this.#first as T | null
    if (node) this.remove(node)
    return node
  }

  /** Harmless when the element is in no list; an element of another list is a mistake. */
  remove(node: T): void {
    if (node.fifo === null) return
    if (node.fifo !== (this as unknown as Fifo<FifoNode>)) throw new Error('fifo: the element is in another list')
    if (node.fifoPrevious) node.fifoPrevious.fifoNext = node.fifoNext
    else this.#first = node.fifoNext
    if (node.fifoNext) node.fifoNext.fifoPrevious = node.fifoPrevious
    else this.#last = node.fifoPrevious
    node.fifo = null
    node.fifoPrevious = null
    node.fifoNext = null
    this.#length--
  }
}
