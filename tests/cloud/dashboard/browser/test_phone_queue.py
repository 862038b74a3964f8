"""What waits on a phone is bounded, outlives the page, and is never two things under one number."""

from collections.abc import Callable

from .conftest import View

OPEN = """
const { Queue } = await import("/static/phone/queue.js");
const picture = (size, value) => new Uint8Array(size).fill(value);
const kept = (queue) => [...queue.heads.keys()];
"""


async def run(view: View, script: str) -> object:
    """Runs a script with a queue's module."""
    return await view.page.evaluate(f"async () => {{ {OPEN} {script} }}")


def test_the_oldest_is_given_up_where_there_is_too_much(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/login")
        found = await run(
            view,
            """
            const queue = await Queue.open({ sizeBytes: 1000 });
            await queue.begin("phone");
            for (let i = 0; i < 5; i += 1) await queue.put({ capturedNs: BigInt(i), score: i }, picture(300, i));
            const again = await Queue.open({ sizeBytes: 1000 });
            return [kept(queue), queue.bytes, queue.dropped, kept(again), again.bytes, again.about.next];
            """,
        )
        assert found == [[2, 3, 4], 900, 2, [2, 3, 4], 900, 5]

    look(story)


def test_what_is_too_old_is_given_up(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/login")
        found = await run(
            view,
            """
            const queue = await Queue.open({ ageMs: 1000 });
            await queue.begin("phone");
            await queue.put({ capturedNs: 0n, score: null }, picture(10, 0));
            queue.heads.get(0).takenMs -= 5000;
            await queue.put({ capturedNs: 1n, score: null }, picture(10, 1));
            return [kept(queue), queue.dropped, kept(await Queue.open())];
            """,
        )
        assert found == [[1], 1, [1]]

    look(story)


def test_what_waits_and_its_session_outlive_the_page(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/login")
        session = await run(
            view,
            """
            const queue = await Queue.open();
            await queue.begin("phone");
            for (let i = 0; i < 3; i += 1) await queue.put({ capturedNs: 7n, score: 0.5 }, picture(10, i));
            await queue.answered(0);
            return queue.about.session;
            """,
        )
        await view.page.reload()
        found = await run(
            view,
            """
            const queue = await Queue.open();
            const other = await queue.begin("another").catch((error) => error.message);
            await queue.begin("phone");
            const session = queue.about.session;
            const second = [...await queue.picture(1)];
            const twice = [await queue.answered(1), await queue.answered(1)];
            await queue.answered(2);
            await queue.begin("another");
            return [session, other, second, twice.map((head) => head?.score ?? null), queue.about.session !== session];
            """,
        )
        assert found[0] == session and "2 pictures of phone wait" in found[1]
        assert found[2:] == [[1] * 10, [0.5, None], True]

    look(story)


def test_where_nothing_is_stored_it_waits_in_the_page(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/login")
        found = await run(
            view,
            """
            Object.defineProperty(window, "indexedDB", { value: { open() { throw new Error("not here"); } } });
            const queue = await Queue.open();
            await queue.begin("phone");
            await queue.put({ capturedNs: 0n, score: null }, picture(3, 9));
            const next = queue.next(new Set()).sequence;
            return [queue.trouble, [...await queue.picture(0)], next, queue.next(new Set([0]))];
            """,
        )
        assert "in this page alone" in found[0] and found[1:] == [[9, 9, 9], 0, None]

    look(story)


def test_what_can_not_be_written_is_given_up_and_never_sent(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/login")
        found = await run(
            view,
            """
            const queue = await Queue.open();
            await queue.begin("phone");
            await queue.put({ capturedNs: 0n, score: null }, picture(3, 1));
            const { database } = queue;
            queue.database = { transaction() { throw new DOMException("full", "QuotaExceededError"); } };
            const writing = queue.put({ capturedNs: 1n, score: null }, picture(3, 2));
            const meanwhile = queue.next(new Set([0]));
            await writing;
            queue.database = database;
            return [kept(queue), queue.dropped, meanwhile, queue.trouble, queue.bytes];
            """,
        )
        assert found[:3] == [[0], 1, None] and "given up" in found[3] and found[4] == 3

    look(story)
