/** Of a batch, one run is shown at a time: the one that the address names, at first the first that did not pass. */

/** Shows the right section and keeps following the address. */
export const mountSections = (): void => {
  const sections = [...document.querySelectorAll<HTMLElement>("section.run")]
  const picker = document.querySelector<HTMLElement>("nav.pick")
  if (sections.length < 2 || picker === null) return
  picker.hidden = false
  let current = Math.max(
    0,
    sections.findIndex((section) => section.querySelector(".hero.tone-bad, .hero.tone-doubt") !== null)
  )
  const show = (index: number): void => {
    current = index
    sections.forEach((section, at) => {
      section.hidden = at !== index
    })
    const name = sections[index].querySelector("h2")?.textContent ?? ""
    picker.querySelector("output")!.textContent = `${name} (${index + 1} of ${sections.length})`
  }
  const follow = (): void => {
    const target = document.getElementById(location.hash.slice(1))
    const index = sections.findIndex((section) => target !== null && section.contains(target))
    if (index < 0) return
    show(index)
    target?.scrollIntoView()
  }
  for (const button of picker.querySelectorAll<HTMLButtonElement>("button")) {
    button.addEventListener("click", () => {
      const step = Number(button.dataset["step"])
      const next = (current + step + sections.length) % sections.length
      show(next)
      history.replaceState(null, "", `#${sections[next].id}`)
    })
  }
  addEventListener("hashchange", follow)
  show(current)
  follow()
}
