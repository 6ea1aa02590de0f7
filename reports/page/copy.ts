/** Buttons that copy a command. */

export const mountCopyButtons = (): void => {
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-copy]")) {
    button.addEventListener("click", () => {
      const source = document.getElementById(button.dataset["copy"] ?? "")
      if (source !== null) void copyText(source).then((done) => tell(button, done ? "Copied" : "Select and copy"))
    })
  }
}

/** Pages opened from a file may not have the clipboard's interface; selecting the text and copying works everywhere. */
const copyText = async (source: HTMLElement): Promise<boolean> => {
  try {
    await navigator.clipboard.writeText(source.textContent ?? "")
    return true
  } catch {
    const selection = getSelection()
    if (selection === null) return false
    selection.selectAllChildren(source)
    return document.execCommand("copy")
  }
}

const tell = (button: HTMLButtonElement, words: string): void => {
  button.textContent = words
  setTimeout(() => {
    button.textContent = "Copy"
  }, 1_500)
}
