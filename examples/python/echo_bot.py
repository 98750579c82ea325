#!/usr/bin/env python3
"""Answers every private message with its own text: the smallest bot there is.

CHATD_PROFILE, CHATD_DATA_DIR or CHATD_SOCKET say which daemon is its own, as for chatctl.
"""

from chatd_bot import Bot

bot = Bot("echo")


@bot.on("message.new")
def echo(message):
    message.reply(message.text)


if __name__ == "__main__":
    bot.run()
