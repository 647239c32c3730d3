"""An engine for tools/peers_test.py: it is loaded and called as the others are."""


class Echo:
    def __init__(self, word, threads):
        self.word = word

    def say(self, times):
        print("a library prints this")
        return self.word * times

    def fail(self):
        return 1 / 0
