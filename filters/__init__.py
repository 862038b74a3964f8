"""Is this input worth an inference?"""
