"""The site's six cameras: where each hangs, and what it looks at."""

from .camera import Camera

VIEWS = {
    "street": Camera(),
    "crossing": Camera((14.8, -10.0, 8.0), yaw_deg=0.0, pitch_deg=24.0, focal_px=440.0),
    "entrance": Camera((4.0, -2.5, 5.2), yaw_deg=-7.0, pitch_deg=17.0, focal_px=520.0),
    "bays": Camera((25.0, -7.0, 7.0), yaw_deg=0.0, pitch_deg=22.0, focal_px=430.0),
    "west": Camera((13.0, -8.0, 7.5), yaw_deg=-38.0, pitch_deg=18.0, focal_px=430.0),
    "yard": Camera((72.0, -7.0, 8.0), yaw_deg=0.0, pitch_deg=22.0, focal_px=430.0),
}
