document.querySelector("#path").textContent = location.pathname;
