export async function runControl(_: unknown): Promise<number> {
  await new Promise((r) => setTimeout(r, 1e6))
  return 0
}
