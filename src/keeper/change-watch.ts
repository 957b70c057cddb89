/** Lets others wait until something is so, which is looked at again whenever anything may have changed. */
export class ChangeWatch {
  readonly #watchers = new Set<() => void>()

  /** Something is another way now. */
  changed(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }

  /** Resolves when `isSo`, which is asked after each change, or after `patienceMs`; says whether it is so then. */
  until(isSo: () => boolean, patienceMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(timer)
        this.#watchers.delete(watcher)
        resolve(isSo())
      }
      const watcher = (): void => {
        if (isSo()) settle()
      }
      const timer = setTimeout(settle, patienceMs)
      this.#watchers.add(watcher)
      watcher()
    })
  }
}
