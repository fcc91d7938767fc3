// Replaces a part of the page by its newest version, only where it differs, so that nothing flickers and what the
// reader has focused, selected or opened stays.

const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName;

const syncAttributes = (old, fresh) => {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
};

const sync = (old, fresh) => {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.nodeType === Node.ELEMENT_NODE) syncAttributes(old, fresh);
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, index) => {
    const counterpart = before[index];
    if (!counterpart) old.append(node);
    else if (same(counterpart, node)) sync(counterpart, node);
    else counterpart.replaceWith(node);
  });
  for (const left of before.slice(after.length)) left.remove();
};

const refresh = async (element) => {
  const address = new URL(element.dataset.address, location.href);
  address.searchParams.set("fragment", "1");
  const answer = await fetch(address, { headers: { accept: "text/html" }, redirect: "manual" });
  if (answer.type === "opaqueredirect") return location.reload(); // the login has run out
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-live]");
  if (fresh) sync(element, fresh);
};

export const keepCurrent = (element) => {
  const seconds = Number(element.dataset.live);
  const turn = async () => {
    if (!document.hidden) {
      try {
        await refresh(element);
      } catch {
        // The network is away: the next turn tries again, the page keeps its last numbers and their time.
      }
    }
    setTimeout(turn, seconds * 1000);
  };
  setTimeout(turn, seconds * 1000);
};
