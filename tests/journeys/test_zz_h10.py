from tests.journeys.test_shuffled import lives_of, differences, tell, InOrder, Shuffled, SEEDS
async def test_x(copies, tmp_path):
    lives = lives_of("american")
    plain = await tell(lives, copies(), tmp_path, InOrder())
    for s in SEEDS:
        for d in differences(plain, await tell(lives, copies(), tmp_path, Shuffled(s))): print(s, d)
