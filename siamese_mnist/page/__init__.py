"""The page that demo.py opens. On the server app.py, and answers.py for the script; in the browser page.html, scripts
(pad.js to draw on, views.js what is shown, page.js what is asked, teach.js) and styles."""
