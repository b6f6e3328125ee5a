# %% [markdown]
# # The shell from the notebook
# `!command`, its output as a list, variables both ways, and `subprocess` for real programs.

# %%
import subprocess
import sys

name = "world"
numbers = [3, 1, 2]
!echo hello $name and {max(numbers)}

# %%
listing = !printf 'b\na\nc\n'
listing.sort()
listing, type(listing).__name__, listing.s

# %%
for number in numbers:
    !echo line {number * 10}

# %%
!printf 'one\ntwo\nthree\n' > words.txt
!wc -l < words.txt
!echo "to stderr" 1>&2; exit 3
_exit_code

# %%
found = !grep -n t words.txt
count = len(found)
count, found.fields(0)

# %%
finished = subprocess.run([sys.executable, "-c", "import sys; print(sum(map(int, sys.argv[1:])))", *map(str, numbers)],
                          capture_output=True, text=True)
added, code = finished.stdout, finished.returncode
del finished
added, code

# %%
program = """
import sys
for line in sys.stdin:
    print(line.strip()[::-1])
sys.exit(len(sys.argv))
"""
mirrored = subprocess.run([sys.executable, "-c", program], input="\n".join(listing), capture_output=True, text=True)
backwards = mirrored.stdout.split(), mirrored.returncode
del mirrored
backwards

# %% raises
subprocess.run(["sh", "-c", "exit 5"], check=True)

# %%
import os

os.environ["GREETING"] = "salut"
!echo $$GREETING {name}
%env GREETING

# %%
%%bash
echo "a cell in another language"
for word in $(cat words.txt); do echo "${#word}"; done

# %%
%%bash --out text --err complaints
echo kept
echo oops >&2

# %%
text, complaints

# %%
del os.environ["GREETING"]
print("before", flush=True)
!echo during
print("after")
with open("words.txt") as file:
    last = file.read().split()[-1]
del file
last

# %%
%%writefile helper.py
def shout(text):
    return text.upper() + "!"

# %%
import helper

helper.shout(last), helper.__name__

# %%
%%script cat
echoed as it is
