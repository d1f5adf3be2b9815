"""Operations on usage: booking, sending and sweeping."""
