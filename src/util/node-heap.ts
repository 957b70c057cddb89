import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * The heap of this process; makes the collector callable, which it is not by default. `returnMemory` is called after each
 * collection, to give what is free to the kernel.
 */
export function nodeHeap(returnMemory: () => void): { usedBytes(): number; collect(): void } {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  return {
    usedBytes: () => getHeapStatistics().used_heap_size,
    collect: () => {
      collect()
      returnMemory()
    },
  }
}
