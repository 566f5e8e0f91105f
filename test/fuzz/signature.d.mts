/** What faults have in common that are one: their kind, and their message without numbers and quoted names. */
export function signatureOf(outcome: string, message: string): string
