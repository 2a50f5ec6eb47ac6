"""A VNC session: draws on an X display, looks at it through VNC, and types through VNC into a window.

usage: vnc_session.py DISPLAY HOST PORT ROUNDS
Exit code 0 when every picture was right in every pixel and every key arrived in order.
"""

import asyncio
import random
import sys
import time

import asyncvnc
from Xlib import X, display

WIDTH, HEIGHT = 1024, 768


class Wrong(Exception):
    """What was seen or typed is not what was drawn or sent."""


def draw(window, context, seed):
    """Draws rectangles; returns the picture that must be seen, as rows of RGB triples."""
    import numpy

    generator = random.Random(seed)
    picture = numpy.zeros((HEIGHT, WIDTH, 3), dtype=numpy.uint8)
    window.clear_area()
    for _ in range(300):
        x, y = generator.randrange(WIDTH), generator.randrange(HEIGHT)
        width, height = generator.randrange(1, 200), generator.randrange(1, 200)
        colour = generator.randrange(1 << 24)
        context.change(foreground=colour)
        window.fill_rectangle(context, x, y, width, height)
        picture[y : y + height, x : x + width] = ((colour >> 16) & 255, (colour >> 8) & 255, colour & 255)
    return picture


async def session(screen_name, host, port, rounds):
    screen = display.Display(screen_name)
    window = screen.screen().root.create_window(
        0, 0, WIDTH, HEIGHT, 0, screen.screen().root_depth,
        background_pixel=0, override_redirect=True, event_mask=X.KeyPressMask | X.ExposureMask,
    )
    window.map()
    window.set_input_focus(X.RevertToParent, X.CurrentTime)
    context = window.create_gc()
    screen.sync()

    async with asyncvnc.connect(host, port) as client:
        client.mouse.move(WIDTH - 1, HEIGHT - 1)
        for round_number in range(rounds):
            picture = draw(window, context, round_number)
            screen.sync()
            deadline = time.monotonic() + 10
            while True:
                seen = (await client.screenshot())[:HEIGHT, :WIDTH, :3]
                if (seen == picture).all():
                    break
                if time.monotonic() > deadline:
                    raise Wrong(f"round {round_number}: {(seen != picture).any(axis=2).sum()} pixels are wrong")

        text = "thequickbrownfoxjumpsoverthelazydog"
        client.keyboard.write(text)
        await client.drain()
        typed, deadline = "", time.monotonic() + 10
        while len(typed) < len(text):
            if time.monotonic() > deadline:
                raise Wrong(f"typed {text}, {typed} arrived")
            while screen.pending_events():
                event = screen.next_event()
                if event.type == X.KeyPress:
                    symbol = screen.keycode_to_keysym(event.detail, 0)
                    typed += chr(symbol) if 32 < symbol < 127 else ""
            await asyncio.sleep(0.01)
        if typed != text:
            raise Wrong(f"typed {text}, {typed} arrived")
    print(f"{rounds} pictures and {len(text)} keys")


try:
    asyncio.run(asyncio.wait_for(session(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])), 120))
except Wrong as wrong:
    sys.exit(str(wrong))
