"""The page that demo.py opens. On the server: app.py, and answers.py for the script. In the browser: page.html and its
script, pad.js (to draw on), views.js (what is shown), page.js (what is asked) and teach.js."""
