// The few signs that the page draws.  They never say anything alone: a word
// stands beside each of them.
const paths = {
  check: "M3 8.5 6.5 12 13 4.5",
  cross: "m4 4 8 8M12 4l-8 8",
  dots: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  down: "m4 6 4 4 4-4",
  up: "m4 10 4-4 4 4",
} as const;

export function Icon({ name }: { name: keyof typeof paths }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
