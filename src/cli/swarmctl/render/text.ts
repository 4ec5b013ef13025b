/** Characters that would move the cursor, change colours or turn the writing direction when printed. */
const CONTROL = /[\p{Control}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/gu;

/** Characters that terminals draw two columns wide. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/;

const MARK = /\p{Mark}/u;
const EMOJI = /\p{Emoji_Presentation}/u;

const ELLIPSIS = '…';

/** A text in one line, with nothing in it that controls a terminal: it may come from any node. */
export function oneLine(text: string): string {
  return text.replace(CONTROL, ' ').trim();
}

/** Columns that a text takes on a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

/** The text cut to a width, with an ellipsis where something is missing. */
export function fit(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  let columns = ELLIPSIS.length;
  for (const character of text) {
    columns += columnsOf(character);
    if (columns > width) break;
    kept += character;
  }
  return width < ELLIPSIS.length ? '' : kept + ELLIPSIS;
}

/** The text filled up with blanks to a width. */
export function padded(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)));
}

function columnsOf(character: string): number {
  if (MARK.test(character)) return 0;
  return WIDE.test(character) || EMOJI.test(character) ? 2 : 1;
}
