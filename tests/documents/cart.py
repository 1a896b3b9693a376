"""A cart."""


class Cart:
    """Holds things."""

    def step_0(self, thing):
        # Step 0 of the way, which needs a few words to be long enough.
        self.things.append((thing, 0))
        return self.things[-1]

    def step_1(self, thing):
        # Step 1 of the way, which needs a few words to be long enough.
        self.things.append((thing, 1))
        return self.things[-1]

    def step_2(self, thing):
        # Step 2 of the way, which needs a few words to be long enough.
        self.things.append((thing, 2))
        return self.things[-1]

    def step_3(self, thing):
        # Step 3 of the way, which needs a few words to be long enough.
        self.things.append((thing, 3))
        return self.things[-1]

    def step_4(self, thing):
        # Step 4 of the way, which needs a few words to be long enough.
        self.things.append((thing, 4))
        return self.things[-1]

    def step_5(self, thing):
        # Step 5 of the way, which needs a few words to be long enough.
        self.things.append((thing, 5))
        return self.things[-1]

