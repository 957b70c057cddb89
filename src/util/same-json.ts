/** Whether two values that JSON can say, say the same there, whatever the order of members. Ends at the first difference. */
export function isSameJson(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  if (Array.isArray(one) !== Array.isArray(other)) return false
  const names = Object.keys(one)
  if (names.length !== Object.keys(other).length) return false
  return names.every((name) => name in other && isSameJson(one[name as keyof object], other[name as keyof object]))
}
