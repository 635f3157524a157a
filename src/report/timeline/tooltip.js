const box = document.getElementById("figures");
for (const row of document.querySelectorAll(".row")) {
  const title = row.querySelector("title");
  const text = title.textContent;
  title.remove();
  row.addEventListener("mousemove", (event) => {
    box.textContent = text;
    box.hidden = false;
    const right = innerWidth - box.offsetWidth - 8;
    const below = event.clientY + 16;
    const fits = below + box.offsetHeight < innerHeight;
    box.style.left = Math.max(8, Math.min(event.clientX + 14, right)) + "px";
    box.style.top = (fits ? below : event.clientY - box.offsetHeight - 12) + "px";
  });
  row.addEventListener("mouseleave", () => { box.hidden = true; });
}
