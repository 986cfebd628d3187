/** A boolean in a query or a header: yes, true, 1, no, false, 0 in any case; `undefined` for anything else. */
export function parseYesNo(text: string): boolean | undefined {
  switch (text.toLowerCase()) {
    case 'yes':
    case 'true':
    case '1':
      return true;
    case 'no':
    case 'false':
    case '0':
      return false;
    default:
      return undefined;
  }
}
