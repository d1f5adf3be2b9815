"""The file `.env.local`."""

import subprocess
from pathlib import Path

from infra.local.variables import write

_OUTPUTS = {
    "EngineEndpoint": "http://localhost:4700",
    "UserPoolClientId": "c",
    "ApiEndpoint": "http://localhost:4700/x",
}


class TestWrite:
    def test_can_be_read_by_a_shell(self, tmp_path: Path) -> None:
        path = tmp_path / ".env.local"
        origins = '["http://localhost:3000","http://localhost:8080"]'
        write(path, variables={"CORS_ORIGINS": origins, "ENVIRONMENT": "local"}, outputs=_OUTPUTS)
        command = f'. {path}; echo "$CORS_ORIGINS|$ENVIRONMENT|$API_ENDPOINT|$AWS_ACCESS_KEY_ID"'
        output = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)  # noqa: S603 — the text above
        assert output.stdout.strip() == f"{origins}|local|http://localhost:4700/x|111111111111"
